"""The functions of the package: noise, softmax, draws."""
