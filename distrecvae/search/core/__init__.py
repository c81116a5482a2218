"""What a search knows and decides: settings, ledger, conductor, samplers, rules. No Ray: tests simulate it."""
