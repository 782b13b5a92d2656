"""How clients speak to the gateway: one module for each format, and what formats share."""
