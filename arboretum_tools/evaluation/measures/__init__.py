"""What is measured: accuracies, mistakes, pairs, photos by what they share; and the intervals of these."""
