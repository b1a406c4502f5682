#!/bin/sh
# Stands before rustc while the guests are built. Cargo derives a crate's identity from the absolute path of its folder,
# and that identity orders and names what is in the module; here it follows from the package alone.
for argument do
    shift
    case $argument in
        metadata=*) argument="metadata=$CARGO_PKG_NAME-$CARGO_PKG_VERSION-$CARGO_CRATE_NAME" ;;
    esac
    set -- "$@" "$argument"
done
exec "$@"
