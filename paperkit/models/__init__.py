"""The networks. Importing one needs torch only."""
