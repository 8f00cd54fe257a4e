"""An audience for locust: ``locustfile.py`` is what its command is given. gevent is here and nowhere else."""
