"""Taxa and classes: what names mean, what a class is called, and how its photos are captioned."""
