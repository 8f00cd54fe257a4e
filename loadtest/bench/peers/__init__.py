"""The servers ours is measured beside, one file each, behind one port."""
