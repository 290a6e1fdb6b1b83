"""What models of one kind share; a model file says what is its own."""
