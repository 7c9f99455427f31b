"""Depth maps: cleaning, separate folders of depth maps, and added noise for studies."""

from data.depth.sensors import SensorModel

SENSORS: dict[str, SensorModel] = {
    # Kinect (first version) and Xtion: structured light of PrimeSense, depth registered to the colour image.
    # [K] Konolige and Mihelich, "Technical description of Kinect calibration", ROS wiki, 2011. [N] Nguyen, Izadi and
    # Lovell, "Modeling Kinect sensor noise for improved 3D reconstruction and tracking", 3DIMPVT 2012.
    # [M] Measured on 69 frames of an Xtion and 45 of a Kinect: docs/real-cameras.md.
    "kinect": SensorModel(
        width=640,
        focal_baseline=575 * 0.075,  # 7.5 cm: [K]. Steps of 1/8 pixel: 575 pixels; 570 for the Xtion [M]
        step=1 / 8,  # [K]
        rms=0.087,  # [M]
        correlation=7,  # [M]
        window=9,  # [K]: 9x9 or 9x7
        rank=0.5,
        visible=0.42,  # [M]
        focal=525 / 640,  # the default of the drivers for the colour image
        views=(0.05, -0.025),  # the colour camera stands between projector and infrared camera; [M] agrees
        lateral=0.8,  # [N]: 0.8 pixels for a surface that faces the camera
        registration=2,
        dark=((16, 0.48), (80, 0.17), (256, 0.02)),  # [M], Xtion
        band=(10 / 640, 35 / 640, 16 / 480, 10 / 480),  # [M], Xtion
    ),
    # RealSense D435: stereo of infrared cameras at 848x480, depth of the left one. Nothing of it is measured here.
    # [I] Grunnet-Jepsen, Sweetser and Woodfill, "Tuning depth cameras for best performance", Intel. [L] The same and
    # others, "Subpixel linearity improvement for Intel RealSense depth camera D400 series", Intel. [S] Keselman et al.,
    # "Intel RealSense stereoscopic depth cameras", CVPR workshops 2017.
    "realsense": SensorModel(
        width=848,
        focal_baseline=424 * 0.05,  # [L]: a field of view of 90 degrees; 5 cm between the cameras
        step=1 / 32,  # [L]
        rms=0.08,  # [I]
        correlation=7,  # the window
        window=7,  # [S], of the R200; the D400 has a matching of its own that is not published
        rank=0.7,  # our choice: near surfaces grow by up to a third of the window
        visible=0.5,
        focal=0.5,  # 424 / 848
        views=(0.05,),
    ),
}
"""Name of a depth camera -> its constants, for `data.depth.sensors.sense`."""
