"""What training code takes from a long-tailed split: samplers, class weights and sample weights."""
