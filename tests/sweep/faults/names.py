"""What tests and the plugin with faults have to agree on."""

#: A variable of the environment: the plugin was mended.
MENDED = "OPTLAB_TEST_MENDED"

#: The file with which the plugin fills the disk.
FILLER = "filler"

#: The learning rate at which the plugin's optimizer does what is called so.
RATES = {"call_sys_exit": 2.0, "unwritable": 3.0, "kill": 4.0}
