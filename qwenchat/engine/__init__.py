"""Messages in, events out: the engines that run or reach a model."""
