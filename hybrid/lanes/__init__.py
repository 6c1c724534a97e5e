"""Token passing of many utterances side by side on a device, a lane each; arrays in and out (`docs/search.md`)."""
