"""From fleets to claims: plan, design, laws, doses, mixtures, claims."""
