"""The state of objects as metrics, under the names and labels of kube-state-metrics v2.

What alerts of the world are written for; https://github.com/kubernetes/kube-state-metrics/tree/main/docs/metrics
"""
