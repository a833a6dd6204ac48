"""The film study: emotions portrayed in a film, which several observers annotated."""
