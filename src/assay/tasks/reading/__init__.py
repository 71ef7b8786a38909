"""Files -> rows of a supervised data set: `source` reads them in any of the usual formats, `cutting` deals them."""
