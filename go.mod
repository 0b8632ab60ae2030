module lorawand

go 1.26
