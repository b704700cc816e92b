module captcha-operator.io/node/pause

go 1.26.0
