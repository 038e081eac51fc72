"""The live console: a built page in `page/`, and the small server that hands it out."""
