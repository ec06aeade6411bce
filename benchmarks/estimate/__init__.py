"""What `lbmigrate plan --estimate` is fitted to, and how well it predicts what was kept out of the fit."""
