module perennial.dev/perennial

go 1.26
