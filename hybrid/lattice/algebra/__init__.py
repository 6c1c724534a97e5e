"""Lattices from lattices by algebra: products, differences, pushing, minimisation, keywords."""
