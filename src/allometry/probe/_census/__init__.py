"""The machinery of `al.census`: marks that follow signals, a trace of all operations, and a rule for each.

`trace` sees every call, `marks` is what it knows of a tensor, `unwritten` and `leaving` name what happens out of its sight. `ops`
names the operations that multiply nothing, the other files are rules by idea, `rules` is the table of them, and `kernels` has
operations that hold whole layers.
"""
