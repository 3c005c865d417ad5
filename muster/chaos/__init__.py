"""What Chaos Toolkit experiments of Muster are made of: actions, probes and the control that records their timeline."""
