/** Generated from `crds/captchatask.yaml` by `npm run generate:types`. Change the CRD, not this file. */

/** One value of a task's spec. A `keyRef` is a name and a key in it. */
export interface SchemaField {
  path: readonly string[];
  kind: 'text' | 'integer' | 'boolean' | 'list' | 'map' | 'keyRef';
  values?: readonly string[];
  required?: boolean;
  description: string;
}

/** Below `spec`, the captcha aside. */
export const SPEC_FIELDS: readonly SchemaField[] = [
  {
    "path": [
      "delivery"
    ],
    "kind": "text",
    "values": [
      "Callback",
      "Poll"
    ],
    "description": "How the result is awaited. Callback (default): the provider calls the operator back, and the operator polls when no callback came within callbackTimeoutSeconds. Poll: no callback address is sent."
  },
  {
    "path": [
      "callbackTimeoutSeconds"
    ],
    "kind": "integer",
    "description": "Seconds after submission without a callback until the operator starts polling; 0 to 86400. Default 120. It polls earlier while no callbacks come for the API key. Without meaning where delivery is Poll."
  },
  {
    "path": [
      "activeDeadlineSeconds"
    ],
    "kind": "integer",
    "description": "Seconds from status.startTime until the task fails with reason DeadlineExceeded; at least 1. Default 600. It does not run while the task is suspended, nor while a dead letter holds its result."
  },
  {
    "path": [
      "backoffLimit"
    ],
    "kind": "integer",
    "description": "How many new, separately paid submissions may follow when the provider could not solve the captcha. Default 0."
  },
  {
    "path": [
      "ttlSecondsAfterFinished"
    ],
    "kind": "integer",
    "description": "Seconds after status.completionTime until the task is deleted; 0 = at once. Where it is not set, the operator's own default applies (DEFAULT_TTL_SECONDS_AFTER_FINISHED, 86400). That default leaves tasks alone that Argo CD or Flux keeps: they would create them anew, to be paid for again. Do not set this on those either."
  },
  {
    "path": [
      "suspend"
    ],
    "kind": "boolean",
    "description": "While true nothing is submitted or polled and the deadline does not run; a callback is still applied. Default false."
  },
  {
    "path": [
      "apiKeySecretRef"
    ],
    "kind": "keyRef",
    "description": "The provider key of this task, in a Secret of the same namespace. Without it the operator uses its own key. Immutable once status.attempts is 1 or more. Secrets of the types kubernetes.io/*, bootstrap.kubernetes.io/token and helm.sh/*, and those annotated captcha-operator.io/private, are refused."
  },
  {
    "path": [
      "proxy",
      "type"
    ],
    "kind": "text",
    "values": [
      "HTTP",
      "HTTPS",
      "SOCKS4",
      "SOCKS5"
    ],
    "description": "Protocol of the proxy."
  },
  {
    "path": [
      "proxy",
      "address"
    ],
    "kind": "text",
    "description": "Its address, as `host:port` or `user:password@host:port`, in place of secretRef. Whoever may read the task may then read it."
  },
  {
    "path": [
      "proxy",
      "secretRef"
    ],
    "kind": "keyRef",
    "description": "Where its address is stored, as `host:port` or `user:password@host:port`, in a Secret of the same namespace, of the kinds that spec.apiKeySecretRef may name."
  },
  {
    "path": [
      "solutionSecretName"
    ],
    "kind": "text",
    "description": "Name of a Secret that the operator creates for the solution (keys value and user-agent), owned by the task, instead of writing the solution into status. An existing Secret of that name is never touched. Immutable once status.attempts is 1 or more."
  }
];

/** Below the member of `spec.captcha` that the type names. */
export const CAPTCHA_FIELDS: Readonly<
  Record<string, { member: string; description: string; fields: readonly SchemaField[] }>
> = {
  "RecaptchaV2": {
    "member": "recaptchaV2",
    "description": "reCAPTCHA v2, checkbox or invisible. The solution is a token that the site accepts for 120 seconds.",
    "fields": [
      {
        "path": [
          "siteKey"
        ],
        "kind": "text",
        "required": true,
        "description": "The site key of the widget (`data-sitekey`, or `k=` in the frame's address). Printable ASCII without spaces."
      },
      {
        "path": [
          "pageURL"
        ],
        "kind": "text",
        "required": true,
        "description": "Full address of the page (or of the frame) that shows the captcha; http or https."
      },
      {
        "path": [
          "invisible"
        ],
        "kind": "boolean",
        "description": "Whether the widget is invisible. Default false."
      },
      {
        "path": [
          "enterprise"
        ],
        "kind": "boolean",
        "description": "Whether the site uses reCAPTCHA Enterprise. The token then works only with the agent in status.solution.userAgent. Default false."
      },
      {
        "path": [
          "action"
        ],
        "kind": "text",
        "description": "The `action` of the widget, where the site sets one."
      },
      {
        "path": [
          "dataS"
        ],
        "kind": "text",
        "description": "The `data-s` value of the widget, as Google's own pages use it. It works once."
      },
      {
        "path": [
          "domain"
        ],
        "kind": "text",
        "description": "Host that serves the widget: `google.com` (default) or `recaptcha.net`."
      },
      {
        "path": [
          "cookies"
        ],
        "kind": "text",
        "description": "Cookies the solver should send, written as `name:value;name:value`."
      },
      {
        "path": [
          "userAgent"
        ],
        "kind": "text",
        "description": "The User-Agent the solver should use. Printable ASCII."
      }
    ]
  },
  "RecaptchaV3": {
    "member": "recaptchaV3",
    "description": "reCAPTCHA v3 (score based). The solution is a token that the site accepts for 120 seconds.",
    "fields": [
      {
        "path": [
          "siteKey"
        ],
        "kind": "text",
        "required": true,
        "description": "The site key (`render=` in the address of the script). Printable ASCII without spaces."
      },
      {
        "path": [
          "pageURL"
        ],
        "kind": "text",
        "required": true,
        "description": "Full address of the page that runs the captcha; http or https."
      },
      {
        "path": [
          "action"
        ],
        "kind": "text",
        "description": "The `action` that the page passes to `grecaptcha.execute`. The provider's own client requires it; set it wherever the page passes one."
      },
      {
        "path": [
          "minScore"
        ],
        "kind": "text",
        "description": "Lowest score that is good enough, as a string from \"0.1\" to \"0.99\", for example \"0.3\"."
      },
      {
        "path": [
          "enterprise"
        ],
        "kind": "boolean",
        "description": "Whether the site uses reCAPTCHA Enterprise. The token then works only with the agent in status.solution.userAgent. Default false."
      },
      {
        "path": [
          "cookies"
        ],
        "kind": "text",
        "description": "Cookies the solver should send, written as `name:value;name:value`."
      },
      {
        "path": [
          "userAgent"
        ],
        "kind": "text",
        "description": "The User-Agent the solver should use. Printable ASCII."
      }
    ]
  },
  "Turnstile": {
    "member": "turnstile",
    "description": "Cloudflare Turnstile. The solution is a token that the site accepts once, for 300 seconds.",
    "fields": [
      {
        "path": [
          "siteKey"
        ],
        "kind": "text",
        "required": true,
        "description": "The site key of the widget (`data-sitekey`, begins with `0x`). Printable ASCII without spaces."
      },
      {
        "path": [
          "pageURL"
        ],
        "kind": "text",
        "required": true,
        "description": "Full address of the page that shows the widget; http or https."
      },
      {
        "path": [
          "action"
        ],
        "kind": "text",
        "description": "The `action` of the widget (`data-action`), where the site sets one."
      },
      {
        "path": [
          "data"
        ],
        "kind": "text",
        "description": "The `cData` of the widget (`data-cdata`), where the site sets one."
      },
      {
        "path": [
          "pageData"
        ],
        "kind": "text",
        "description": "The `chlPageData` of the widget, where the page has one."
      },
      {
        "path": [
          "cookies"
        ],
        "kind": "text",
        "description": "Cookies the solver should send, written as `name:value;name:value`."
      },
      {
        "path": [
          "userAgent"
        ],
        "kind": "text",
        "description": "The User-Agent the solver should use. Printable ASCII."
      }
    ]
  },
  "CloudflareChallenge": {
    "member": "cloudflareChallenge",
    "description": "A Cloudflare challenge page. Needs spec.proxy. The solution is the clearance cookie; it works only from the same proxy address and with the agent in status.solution.userAgent.",
    "fields": [
      {
        "path": [
          "pageURL"
        ],
        "kind": "text",
        "required": true,
        "description": "Full address of the page behind the challenge; http or https."
      },
      {
        "path": [
          "cookies"
        ],
        "kind": "text",
        "description": "Cookies the solver should send, written as `name:value;name:value`."
      },
      {
        "path": [
          "userAgent"
        ],
        "kind": "text",
        "description": "The User-Agent the solver should use. Always use the one that comes back with the solution."
      }
    ]
  },
  "GeeTestV3": {
    "member": "geeTestV3",
    "description": "GeeTest v3. The solution is a JSON object with challenge, validate and seccode. Its challenge works once, so such a task is never submitted a second time, whatever spec.backoffLimit says.",
    "fields": [
      {
        "path": [
          "gt"
        ],
        "kind": "text",
        "required": true,
        "description": "The static `gt` of the site. Printable ASCII without spaces."
      },
      {
        "path": [
          "challenge"
        ],
        "kind": "text",
        "required": true,
        "description": "A fresh `challenge`, fetched from the site for this task. It works once, for about 60 seconds."
      },
      {
        "path": [
          "pageURL"
        ],
        "kind": "text",
        "required": true,
        "description": "Full address of the page that shows the captcha; http or https."
      },
      {
        "path": [
          "apiServer"
        ],
        "kind": "text",
        "description": "The `api_server` of the site, where it uses its own, for example `api-na.geetest.com`."
      },
      {
        "path": [
          "cookies"
        ],
        "kind": "text",
        "description": "Cookies the solver should send, written as `name:value;name:value`."
      },
      {
        "path": [
          "userAgent"
        ],
        "kind": "text",
        "description": "The User-Agent the solver should use. Printable ASCII."
      }
    ]
  },
  "GeeTestV4": {
    "member": "geeTestV4",
    "description": "GeeTest v4. Experimental: the provider's own client does not know it, and the provider may refuse it. The solution is a JSON object with captcha_id, lot_number, pass_token, gen_time and captcha_output.",
    "fields": [
      {
        "path": [
          "captchaID"
        ],
        "kind": "text",
        "required": true,
        "description": "The static `captcha_id` of the site. Printable ASCII without spaces."
      },
      {
        "path": [
          "pageURL"
        ],
        "kind": "text",
        "required": true,
        "description": "Full address of the page that shows the captcha; http or https."
      }
    ]
  },
  "Image": {
    "member": "image",
    "description": "Text in a picture (jpg, jpeg, png or gif). The solution is the text. Exactly one of body and bodyFrom is set.",
    "fields": [
      {
        "path": [
          "body"
        ],
        "kind": "text",
        "description": "The image in base64 without line breaks (`base64 -w0`), at most 200,000 characters, because kubectl's apply annotation ends at 256 KiB. Larger images by bodyFrom."
      },
      {
        "path": [
          "bodyFrom",
          "configMapKeyRef"
        ],
        "kind": "keyRef",
        "description": "A key in `binaryData` of a ConfigMap."
      },
      {
        "path": [
          "bodyFrom",
          "secretKeyRef"
        ],
        "kind": "keyRef",
        "description": "A key in `data` of a Secret, of the kinds that spec.apiKeySecretRef may name."
      },
      {
        "path": [
          "numeric"
        ],
        "kind": "integer",
        "description": "Which characters the text has. 0: any (default), 1: digits only, 2: letters only, 3: digits or letters only, 4: both digits and letters."
      },
      {
        "path": [
          "minLength"
        ],
        "kind": "integer",
        "description": "Least number of characters, 0 to 20. 0 = no bound (default)."
      },
      {
        "path": [
          "maxLength"
        ],
        "kind": "integer",
        "description": "Greatest number of characters, 0 to 20. 0 = no bound (default)."
      },
      {
        "path": [
          "phrase"
        ],
        "kind": "boolean",
        "description": "Whether the text has several words. Default false."
      },
      {
        "path": [
          "caseSensitive"
        ],
        "kind": "boolean",
        "description": "Whether upper and lower case matter. Default false."
      },
      {
        "path": [
          "math"
        ],
        "kind": "boolean",
        "description": "Whether the picture shows a sum and the solution is its result. Default false."
      },
      {
        "path": [
          "language"
        ],
        "kind": "text",
        "description": "Language of the text as a code, for example `en`."
      },
      {
        "path": [
          "instructions"
        ],
        "kind": "text",
        "description": "A hint for the solver, at most 140 characters."
      }
    ]
  },
  "Grid": {
    "member": "grid",
    "description": "A picture cut into cells of which some are to be chosen. The solution is a JSON list of cell numbers, counted from 1, row by row. Exactly one of body and bodyFrom is set; the picture has 3 by 3 or 4 by 4 cells.",
    "fields": [
      {
        "path": [
          "body"
        ],
        "kind": "text",
        "description": "The image in base64 without line breaks (`base64 -w0`), at most 200,000 characters. Larger images by bodyFrom."
      },
      {
        "path": [
          "bodyFrom",
          "configMapKeyRef"
        ],
        "kind": "keyRef",
        "description": "A key in `binaryData` of a ConfigMap."
      },
      {
        "path": [
          "bodyFrom",
          "secretKeyRef"
        ],
        "kind": "keyRef",
        "description": "A key in `data` of a Secret, of the kinds that spec.apiKeySecretRef may name."
      },
      {
        "path": [
          "rows"
        ],
        "kind": "integer",
        "description": "Number of rows: 3 or 4, as many as columns. Required."
      },
      {
        "path": [
          "columns"
        ],
        "kind": "integer",
        "description": "Number of columns: 3 or 4, as many as rows. Required."
      },
      {
        "path": [
          "instructions"
        ],
        "kind": "text",
        "description": "What is to be chosen, for example `select all buses`; at most 140 characters. Required."
      },
      {
        "path": [
          "previousID"
        ],
        "kind": "text",
        "description": "The provider's id of the preceding picture of the same captcha (digits)."
      }
    ]
  },
  "BLS": {
    "member": "bls",
    "description": "The BLS captcha: nine tiles, of which those with a given number are to be chosen. The solution is a JSON list of tile numbers, counted from 1, row by row.",
    "fields": [
      {
        "path": [
          "instructions"
        ],
        "kind": "text",
        "required": true,
        "description": "The number to look for, as text, for example `664`."
      },
      {
        "path": [
          "images"
        ],
        "kind": "list",
        "required": true,
        "description": "Exactly nine tiles, row by row."
      }
    ]
  },
  "CaptchaFox": {
    "member": "captchaFox",
    "description": "CaptchaFox. Needs spec.proxy. The solution is a token; it works only with the agent in status.solution.userAgent.",
    "fields": [
      {
        "path": [
          "siteKey"
        ],
        "kind": "text",
        "required": true,
        "description": "The site key of the widget (begins with `sk_`). Printable ASCII without spaces."
      },
      {
        "path": [
          "pageURL"
        ],
        "kind": "text",
        "required": true,
        "description": "Full address of the page that shows the widget; http or https."
      },
      {
        "path": [
          "cookies"
        ],
        "kind": "text",
        "description": "Cookies the solver should send, written as `name:value;name:value`."
      },
      {
        "path": [
          "userAgent"
        ],
        "kind": "text",
        "description": "The User-Agent the solver should use. Printable ASCII."
      }
    ]
  },
  "FriendlyCaptcha": {
    "member": "friendlyCaptcha",
    "description": "Friendly Captcha. The solution is a token.",
    "fields": [
      {
        "path": [
          "siteKey"
        ],
        "kind": "text",
        "required": true,
        "description": "The site key of the widget (`data-sitekey`). Printable ASCII without spaces."
      },
      {
        "path": [
          "pageURL"
        ],
        "kind": "text",
        "required": true,
        "description": "Full address of the page that shows the widget; http or https."
      },
      {
        "path": [
          "version"
        ],
        "kind": "text",
        "values": [
          "v1",
          "v2"
        ],
        "description": "Which Friendly Captcha the page uses. Left to the provider where it is not set, which then assumes v1."
      }
    ]
  },
  "Lemin": {
    "member": "lemin",
    "description": "Lemin. The solution is a JSON object with answer and challenge_uuid, or a token as text where the provider sends only that.",
    "fields": [
      {
        "path": [
          "captchaID"
        ],
        "kind": "text",
        "required": true,
        "description": "The `captcha_id` of the site (begins with `CROPPED_`). Printable ASCII without spaces."
      },
      {
        "path": [
          "divID"
        ],
        "kind": "text",
        "required": true,
        "description": "The id of the element that holds the captcha, for example `lemin-cropped-captcha`."
      },
      {
        "path": [
          "pageURL"
        ],
        "kind": "text",
        "required": true,
        "description": "Full address of the page that shows the captcha; http or https."
      },
      {
        "path": [
          "apiServer"
        ],
        "kind": "text",
        "description": "The server that the page loads the captcha from, where it is not `api.leminnow.com`."
      }
    ]
  },
  "Custom": {
    "member": "custom",
    "description": "Any other method of the provider, for what it adds next. The method and its parameters are sent as they are; the solution is stored as it comes.",
    "fields": [
      {
        "path": [
          "method"
        ],
        "kind": "text",
        "required": true,
        "description": "The provider's name of the method, for example `hcaptcha`."
      },
      {
        "path": [
          "parameters"
        ],
        "kind": "map",
        "description": "Parameters of the method by name, as text. Not key, json, pingback, method, proxy or proxytype, in any case: those the operator sets itself (the proxy from spec.proxy)."
      }
    ]
  }
};
