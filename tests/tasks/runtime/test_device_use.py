"""What is measured of a device adds up over threads and processes."""

from tasks.runtime.device_use import DeviceUse


def test_times_add_up_and_the_largest_memory_stays():
    use = DeviceUse()
    assert use.wait_share is None
    for other in (DeviceUse("cpu", 1.0, 4.0, 100), DeviceUse("", 0.0, 4.0, 300), DeviceUse("cpu", 1.0, 2.0, 200)):
        use.add(other)
    assert use == DeviceUse("cpu", 2.0, 10.0, 300)
    assert use.wait_share == 0.2
