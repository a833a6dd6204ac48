"""The pain study: two data sets of faces that express pain, with planted patterns."""
