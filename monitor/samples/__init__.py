"""Reading the arrays that users bring: files of instances, labels and predictions."""
