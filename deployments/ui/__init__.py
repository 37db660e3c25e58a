"""The page that people see: files that a browser runs, without a build, and the door that serves them."""
