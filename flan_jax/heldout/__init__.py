"""The held-out protocol as data: its arms, what each trains on, and the curves made of arms."""
