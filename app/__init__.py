"""What platforms load: the entry points of this tree. The library is `gapless`, in the folder of that name.

This file has to be here: without it any installed package called `app` would hide ours.
"""
