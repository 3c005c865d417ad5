"""Chaos Mesh objects carried out for real on the lab's pods.

``controller`` brings each object's records to the phase that is wanted; ``pods``, ``stress`` and ``network`` are the
faults; ``spec``, ``targets``, ``status`` and ``links`` say what is meant. Everything runs in the node agent's process,
as on a cluster in the daemon of the pod's node.
"""
