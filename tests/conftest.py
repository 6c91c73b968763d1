"""One thread for every test, and for the processes it starts: small networks only lose time on a second one."""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported anywhere
