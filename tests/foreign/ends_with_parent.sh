#!/bin/sh
# Runs $PROGRAM with these arguments, so that the kernel kills it when the process that started it is gone, however that
# has ended.
exec setpriv --pdeathsig KILL -- "$PROGRAM" "$@"
