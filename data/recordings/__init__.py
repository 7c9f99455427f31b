"""Recordings of RGB-D cameras: bags of ROS 1 and ROS 2, and folders of images with a list of times."""
