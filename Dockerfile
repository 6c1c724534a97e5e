# hybrid on a CPU, as a package, with its inner loops compiled: docker build -t hybrid .
#   docker run --rm -v "$PWD:/data" hybrid decode --model en-small --graph my_graph my.wav
FROM python:3.11-slim
RUN apt-get update && apt-get install -y --no-install-recommends libsndfile1 && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home hybrid
# torch first, a layer that stays when the sources change. Its wheels for CPUs need --build-arg TORCH_INDEX=URL, as pytorch.org gives it; those of the package index hold CUDA too
ARG TORCH_INDEX=
RUN pip install --no-cache-dir ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch
COPY . /src
RUN pip install --no-cache-dir "/src[synth,media]" && rm -rf /src
USER hybrid
# what is compiled for the processor of the image's maker is compiled again, and said, where another needs it
RUN hybrid doctor --compile
WORKDIR /data
ENTRYPOINT ["hybrid"]
CMD ["--help"]
