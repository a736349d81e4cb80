import os
import tempfile

# Before anything imports `datasets`: it writes to the home folder and asks the hub otherwise.
os.environ.setdefault("HF_HOME", tempfile.mkdtemp(prefix="hf-home-"))
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"
