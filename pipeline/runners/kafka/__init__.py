"""The pipeline on Kafka: a Faust app of two stages and a switch, on as many workers as there are partitions."""
