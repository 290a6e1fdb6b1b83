"""The five founding studies: a packaged recipe each, and what is done around its run."""
