"""What a run will take: a model fitted to measurements, this machine's speed, and a look at this database.

`model` has the terms and is pure, `fitted` the constants of a reference machine (`python -m benchmarks.estimate` fits
them again). `yardstick` and `sample` measure here, within bounds, and write nothing; `surroundings` asks the server.
`verifying` says what a verification looks at, `leaders` whom it does where that is a sample. `calibration` says how far
this machine can be compared with the reference, `sizes` what disk and memory take.
"""
