"""Fine-tuning methods set side by side: what each costs, what it learns, and what the model forgets meanwhile."""
