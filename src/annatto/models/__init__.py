"""Things with weights, and how to find, prompt, load and save them."""
