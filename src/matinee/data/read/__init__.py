"""Any real file -> Dataset: formats, columns, times, and the catalogue of named sets."""
