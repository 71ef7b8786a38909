"""batch -> loss: the architectures, and the protocol by which one trainer trains them all."""
