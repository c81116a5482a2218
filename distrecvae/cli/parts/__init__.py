"""What commands share: options, names that shells complete, how scores are printed."""
