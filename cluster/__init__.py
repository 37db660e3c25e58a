"""Where memories live: Ray actors that hold them."""
