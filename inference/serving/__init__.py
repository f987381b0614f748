"""The engine as a process: its protocol, its client, text, and the models it can fetch.

`client` and `pieces` are what the web imports: neither they nor `app` import torch.
"""
