"""`gapless cost`: what a deployment costs a month, from counted commands and dated prices."""
