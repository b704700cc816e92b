/** Generated from `crds/captchatask.yaml` by `npm run generate:types`. Change the CRD, not this file. */

/**
 * What is to be solved and how.
 */
export interface CaptchaTaskSpec {
  /**
   * The captcha: `type`, and the one field that belongs to it. Immutable; for another captcha create another task.
   */
  captcha: {
    /**
     * Kind of captcha. The member of the same name in lower camel case carries its parameters, for example RecaptchaV2 and recaptchaV2, GeeTestV4 and geeTestV4, BLS and bls.
     */
    type:
      | 'RecaptchaV2'
      | 'RecaptchaV3'
      | 'Turnstile'
      | 'CloudflareChallenge'
      | 'GeeTestV3'
      | 'GeeTestV4'
      | 'Image'
      | 'Grid'
      | 'BLS'
      | 'CaptchaFox'
      | 'FriendlyCaptcha'
      | 'Lemin'
      | 'Custom';
    /**
     * reCAPTCHA v2, checkbox or invisible. The solution is a token that the site accepts for 120 seconds.
     */
    recaptchaV2?: {
      /**
       * The site key of the widget (`data-sitekey`, or `k=` in the frame's address). Printable ASCII without spaces.
       */
      siteKey: string;
      /**
       * Full address of the page (or of the frame) that shows the captcha; http or https.
       */
      pageURL: string;
      /**
       * Whether the widget is invisible. Default false.
       */
      invisible?: boolean;
      /**
       * Whether the site uses reCAPTCHA Enterprise. The token then works only with the agent in status.solution.userAgent. Default false.
       */
      enterprise?: boolean;
      /**
       * The `action` of the widget, where the site sets one.
       */
      action?: string;
      /**
       * The `data-s` value of the widget, as Google's own pages use it. It works once.
       */
      dataS?: string;
      /**
       * Host that serves the widget: `google.com` (default) or `recaptcha.net`.
       */
      domain?: string;
      /**
       * Cookies the solver should send, written as `name:value;name:value`.
       */
      cookies?: string;
      /**
       * The User-Agent the solver should use. Printable ASCII.
       */
      userAgent?: string;
    };
    /**
     * reCAPTCHA v3 (score based). The solution is a token that the site accepts for 120 seconds.
     */
    recaptchaV3?: {
      /**
       * The site key (`render=` in the address of the script). Printable ASCII without spaces.
       */
      siteKey: string;
      /**
       * Full address of the page that runs the captcha; http or https.
       */
      pageURL: string;
      /**
       * The `action` that the page passes to `grecaptcha.execute`. The provider's own client requires it; set it wherever the page passes one.
       */
      action?: string;
      /**
       * Lowest score that is good enough, as a string from "0.1" to "0.99", for example "0.3".
       */
      minScore?: string;
      /**
       * Whether the site uses reCAPTCHA Enterprise. The token then works only with the agent in status.solution.userAgent. Default false.
       */
      enterprise?: boolean;
      /**
       * Cookies the solver should send, written as `name:value;name:value`.
       */
      cookies?: string;
      /**
       * The User-Agent the solver should use. Printable ASCII.
       */
      userAgent?: string;
    };
    /**
     * Cloudflare Turnstile. The solution is a token that the site accepts once, for 300 seconds.
     */
    turnstile?: {
      /**
       * The site key of the widget (`data-sitekey`, begins with `0x`). Printable ASCII without spaces.
       */
      siteKey: string;
      /**
       * Full address of the page that shows the widget; http or https.
       */
      pageURL: string;
      /**
       * The `action` of the widget (`data-action`), where the site sets one.
       */
      action?: string;
      /**
       * The `cData` of the widget (`data-cdata`), where the site sets one.
       */
      data?: string;
      /**
       * The `chlPageData` of the widget, where the page has one.
       */
      pageData?: string;
      /**
       * Cookies the solver should send, written as `name:value;name:value`.
       */
      cookies?: string;
      /**
       * The User-Agent the solver should use. Printable ASCII.
       */
      userAgent?: string;
    };
    /**
     * A Cloudflare challenge page. Needs spec.proxy. The solution is the clearance cookie; it works only from the same proxy address and with the agent in status.solution.userAgent.
     */
    cloudflareChallenge?: {
      /**
       * Full address of the page behind the challenge; http or https.
       */
      pageURL: string;
      /**
       * Cookies the solver should send, written as `name:value;name:value`.
       */
      cookies?: string;
      /**
       * The User-Agent the solver should use. Always use the one that comes back with the solution.
       */
      userAgent?: string;
    };
    /**
     * GeeTest v3. The solution is a JSON object with challenge, validate and seccode. Its challenge works once, so such a task is never submitted a second time, whatever spec.backoffLimit says.
     */
    geeTestV3?: {
      /**
       * The static `gt` of the site. Printable ASCII without spaces.
       */
      gt: string;
      /**
       * A fresh `challenge`, fetched from the site for this task. It works once, for about 60 seconds.
       */
      challenge: string;
      /**
       * Full address of the page that shows the captcha; http or https.
       */
      pageURL: string;
      /**
       * The `api_server` of the site, where it uses its own, for example `api-na.geetest.com`.
       */
      apiServer?: string;
      /**
       * Cookies the solver should send, written as `name:value;name:value`.
       */
      cookies?: string;
      /**
       * The User-Agent the solver should use. Printable ASCII.
       */
      userAgent?: string;
    };
    /**
     * GeeTest v4. Experimental: the provider's own client does not know it, and the provider may refuse it. The solution is a JSON object with captcha_id, lot_number, pass_token, gen_time and captcha_output.
     */
    geeTestV4?: {
      /**
       * The static `captcha_id` of the site. Printable ASCII without spaces.
       */
      captchaID: string;
      /**
       * Full address of the page that shows the captcha; http or https.
       */
      pageURL: string;
    };
    /**
     * Text in a picture (jpg, jpeg, png or gif). The solution is the text. Exactly one of body and bodyFrom is set.
     */
    image?: {
      /**
       * The image in base64 without line breaks (`base64 -w0`), at most 200,000 characters, because kubectl's apply annotation ends at 256 KiB. Larger images by bodyFrom.
       */
      body?: string;
      /**
       * Where the raw image is stored, in the task's namespace. Exactly one source is set.
       */
      bodyFrom?: {
        /**
         * A key in `binaryData` of a ConfigMap.
         */
        configMapKeyRef?: {
          /**
           * Name of the ConfigMap.
           */
          name: string;
          /**
           * Key in its binaryData.
           */
          key: string;
        };
        /**
         * A key in `data` of a Secret, of the kinds that spec.apiKeySecretRef may name.
         */
        secretKeyRef?: {
          /**
           * Name of the Secret.
           */
          name: string;
          /**
           * Key in its data.
           */
          key: string;
        };
      };
      /**
       * Which characters the text has. 0: any (default), 1: digits only, 2: letters only, 3: digits or letters only, 4: both digits and letters.
       */
      numeric?: number;
      /**
       * Least number of characters, 0 to 20. 0 = no bound (default).
       */
      minLength?: number;
      /**
       * Greatest number of characters, 0 to 20. 0 = no bound (default).
       */
      maxLength?: number;
      /**
       * Whether the text has several words. Default false.
       */
      phrase?: boolean;
      /**
       * Whether upper and lower case matter. Default false.
       */
      caseSensitive?: boolean;
      /**
       * Whether the picture shows a sum and the solution is its result. Default false.
       */
      math?: boolean;
      /**
       * Language of the text as a code, for example `en`.
       */
      language?: string;
      /**
       * A hint for the solver, at most 140 characters.
       */
      instructions?: string;
    };
    /**
     * A picture cut into cells of which some are to be chosen. The solution is a JSON list of cell numbers, counted from 1, row by row. Exactly one of body and bodyFrom is set; the picture has 3 by 3 or 4 by 4 cells.
     */
    grid?: {
      /**
       * The image in base64 without line breaks (`base64 -w0`), at most 200,000 characters. Larger images by bodyFrom.
       */
      body?: string;
      /**
       * Where the raw image is stored, in the task's namespace. Exactly one source is set.
       */
      bodyFrom?: {
        /**
         * A key in `binaryData` of a ConfigMap.
         */
        configMapKeyRef?: {
          /**
           * Name of the ConfigMap.
           */
          name: string;
          /**
           * Key in its binaryData.
           */
          key: string;
        };
        /**
         * A key in `data` of a Secret, of the kinds that spec.apiKeySecretRef may name.
         */
        secretKeyRef?: {
          /**
           * Name of the Secret.
           */
          name: string;
          /**
           * Key in its data.
           */
          key: string;
        };
      };
      /**
       * Number of rows: 3 or 4, as many as columns. Required.
       */
      rows?: number;
      /**
       * Number of columns: 3 or 4, as many as rows. Required.
       */
      columns?: number;
      /**
       * What is to be chosen, for example `select all buses`; at most 140 characters. Required.
       */
      instructions?: string;
      /**
       * The provider's id of the preceding picture of the same captcha (digits).
       */
      previousID?: string;
    };
    /**
     * The BLS captcha: nine tiles, of which those with a given number are to be chosen. The solution is a JSON list of tile numbers, counted from 1, row by row.
     */
    bls?: {
      /**
       * The number to look for, as text, for example `664`.
       */
      instructions: string;
      /**
       * Exactly nine tiles, row by row.
       *
       * Items: One tile in base64 without line breaks, or as a data URI; at most 20,000 characters.
       */
      images: string[];
    };
    /**
     * CaptchaFox. Needs spec.proxy. The solution is a token; it works only with the agent in status.solution.userAgent.
     */
    captchaFox?: {
      /**
       * The site key of the widget (begins with `sk_`). Printable ASCII without spaces.
       */
      siteKey: string;
      /**
       * Full address of the page that shows the widget; http or https.
       */
      pageURL: string;
      /**
       * Cookies the solver should send, written as `name:value;name:value`.
       */
      cookies?: string;
      /**
       * The User-Agent the solver should use. Printable ASCII.
       */
      userAgent?: string;
    };
    /**
     * Friendly Captcha. The solution is a token.
     */
    friendlyCaptcha?: {
      /**
       * The site key of the widget (`data-sitekey`). Printable ASCII without spaces.
       */
      siteKey: string;
      /**
       * Full address of the page that shows the widget; http or https.
       */
      pageURL: string;
      /**
       * Which Friendly Captcha the page uses. Left to the provider where it is not set, which then assumes v1.
       */
      version?: 'v1' | 'v2';
    };
    /**
     * Lemin. The solution is a JSON object with answer and challenge_uuid, or a token as text where the provider sends only that.
     */
    lemin?: {
      /**
       * The `captcha_id` of the site (begins with `CROPPED_`). Printable ASCII without spaces.
       */
      captchaID: string;
      /**
       * The id of the element that holds the captcha, for example `lemin-cropped-captcha`.
       */
      divID: string;
      /**
       * Full address of the page that shows the captcha; http or https.
       */
      pageURL: string;
      /**
       * The server that the page loads the captcha from, where it is not `api.leminnow.com`.
       */
      apiServer?: string;
    };
    /**
     * Any other method of the provider, for what it adds next. The method and its parameters are sent as they are; the solution is stored as it comes.
     */
    custom?: {
      /**
       * The provider's name of the method, for example `hcaptcha`.
       */
      method: string;
      /**
       * Parameters of the method by name, as text. Not key, json, pingback, method, proxy or proxytype, in any case: those the operator sets itself (the proxy from spec.proxy).
       */
      parameters?: {
        /**
         * Value of the parameter, at most 16,384 characters.
         */
        [k: string]: string;
      };
    };
  };
  /**
   * How the result is awaited. Callback (default): the provider calls the operator back, and the operator polls when no callback came within callbackTimeoutSeconds. Poll: no callback address is sent.
   */
  delivery: 'Callback' | 'Poll';
  /**
   * Seconds after submission without a callback until the operator starts polling; 0 to 86400. Default 120. It polls earlier while no callbacks come for the API key. Without meaning where delivery is Poll.
   */
  callbackTimeoutSeconds: number;
  /**
   * Seconds from status.startTime until the task fails with reason DeadlineExceeded; at least 1. Default 600. It does not run while the task is suspended, nor while a dead letter holds its result.
   */
  activeDeadlineSeconds: number;
  /**
   * How many new, separately paid submissions may follow when the provider could not solve the captcha. Default 0.
   */
  backoffLimit: number;
  /**
   * Seconds after status.completionTime until the task is deleted; 0 = at once. Where it is not set, the operator's own default applies (DEFAULT_TTL_SECONDS_AFTER_FINISHED, 86400). That default leaves tasks alone that Argo CD or Flux keeps: they would create them anew, to be paid for again. Do not set this on those either.
   */
  ttlSecondsAfterFinished?: number;
  /**
   * While true nothing is submitted or polled and the deadline does not run; a callback is still applied. Default false.
   */
  suspend: boolean;
  /**
   * The provider key of this task, in a Secret of the same namespace. Without it the operator uses its own key. Immutable once status.attempts is 1 or more. Secrets of the types kubernetes.io/*, bootstrap.kubernetes.io/token and helm.sh/*, and those annotated captcha-operator.io/private, are refused.
   */
  apiKeySecretRef?: {
    /**
     * Name of the Secret.
     */
    name: string;
    /**
     * Key in its data, for example api-key.
     */
    key: string;
  };
  /**
   * The proxy the solver should use. Needed for CloudflareChallenge and CaptchaFox, optional for every other type. Its address is in exactly one of secretRef and address. Immutable.
   */
  proxy?: {
    /**
     * Protocol of the proxy.
     */
    type: 'HTTP' | 'HTTPS' | 'SOCKS4' | 'SOCKS5';
    /**
     * Its address, as `host:port` or `user:password@host:port`, in place of secretRef. Whoever may read the task may then read it.
     */
    address?: string;
    /**
     * Where its address is stored, as `host:port` or `user:password@host:port`, in a Secret of the same namespace, of the kinds that spec.apiKeySecretRef may name.
     */
    secretRef?: {
      /**
       * Name of the Secret.
       */
      name: string;
      /**
       * Key in its data, for example address.
       */
      key: string;
    };
  };
  /**
   * Name of a Secret that the operator creates for the solution (keys value and user-agent), owned by the task, instead of writing the solution into status. An existing Secret of that name is never touched. Immutable once status.attempts is 1 or more.
   */
  solutionSecretName?: string;
}

/**
 * Where the task stands; written by the operator only.
 */
export interface CaptchaTaskStatus {
  /**
   * The metadata.generation that this status is about.
   */
  observedGeneration?: number;
  /**
   * Where the task stands, for people, columns and field selectors; programs read the condition Solved. Pending: not with the provider (yet). Submitting: a submission is under way or its outcome is not known. Submitted: accepted, the result is awaited. Solved and Failed are final.
   */
  phase?: 'Pending' | 'Submitting' | 'Submitted' | 'Solved' | 'Failed';
  /**
   * When the operator first took the task up, or when it was last resumed; the deadline runs from here.
   */
  startTime?: string;
  /**
   * When the task became Solved or Failed. Set once.
   */
  completionTime?: string;
  /**
   * Number of the current submission, counted from 1. It only grows. The first submission may be in the operator's journal for a moment before it is here, for seconds while requests to the API server queue.
   */
  attempts?: number;
  /**
   * How many attempts ended without it becoming known whether the provider accepted them; each may have been paid for.
   */
  unknownSubmissions?: number;
  /**
   * The current attempt, or the last one.
   */
  submission?: {
    /**
     * Number of the attempt.
     */
    attempt: number;
    /**
     * When the operator decided to call the provider.
     */
    intentTime: string;
    /**
     * Which operator process decided it, with a counter; unique for each intent.
     */
    intentBy: string;
    /**
     * Whether a callback address was sent with it.
     */
    pingback: boolean;
    /**
     * When the provider's reply that accepted it came; the time of the intent where a callback brought the id.
     */
    submittedTime?: string;
    /**
     * The provider's id of this attempt. Fixed once it is known.
     */
    captchaID?: string;
    /**
     * From when on the result is polled for.
     */
    pollAfterTime?: string;
    /**
     * When the attempt ended without a result; `code` says why.
     */
    endTime?: string;
    /**
     * The provider's code with which the attempt ended.
     */
    code?: string;
  };
  /**
   * The result. Written once, never changed.
   */
  solution?: {
    /**
     * The solution, at most 12,288 bytes: text as it came, compact JSON for results that are objects or lists, the clearance cookie for CloudflareChallenge.
     */
    value?: string;
    /**
     * The Secret that holds the solution, where spec.solutionSecretName asked for one.
     */
    secretRef?: {
      /**
       * Name of the Secret; its keys are value and, where there is one, user-agent.
       */
      name: string;
    };
    /**
     * The User-Agent that the solution is bound to, where there is one.
     */
    userAgent?: string;
    /**
     * How the solution arrived.
     */
    source: 'Callback' | 'Poll' | 'DeadLetter';
    /**
     * The attempt that it answers.
     */
    attempt: number;
    /**
     * The provider's id of that attempt.
     */
    captchaID?: string;
    /**
     * When the operator or its sidecar received it.
     */
    receivedTime: string;
    /**
     * Until when the site certainly accepts it (once): its lifetime, counted from the last time it was known not to be solved yet. Use it before this time; get a new task when this time is over. Absent where the type has no known lifetime.
     */
    freshUntilTime?: string;
    /**
     * When the site stops accepting it at the latest: its lifetime, counted from receivedTime. For clean-up. Absent where the type has no known lifetime.
     */
    expiresTime?: string;
  };
  /**
   * Why the task failed.
   */
  failure?: {
    /**
     * Permanent: refused for good. Retriable: not solved, and all retries are used up. Deadline: the time ran out. Unknown: it stayed unknown whether the provider accepted it. DeadLetter: a result came but could not be stored, and its dead letter is gone.
     */
    class: 'Permanent' | 'Retriable' | 'Deadline' | 'Unknown' | 'DeadLetter';
    /**
     * The provider's error code, where there was one.
     */
    code?: string;
    /**
     * The reason in words.
     */
    message: string;
  };
  /**
   * The dead letter that holds this task's result, while there is one.
   */
  deadLetter?: {
    /**
     * Name of the DeadLetter, in the same namespace.
     */
    name: string;
    /**
     * When the task was marked.
     */
    time: string;
    /**
     * Whether the letter is known to exist.
     */
    confirmed?: boolean;
  };
  /**
   * Solved: Unknown while running, then finally True or False. Submitted: the provider accepted the current attempt. Reconciling: True until the task is finished. Stalled: True when it failed, and while only a person can help.
   *
   * Items: One condition.
   */
  conditions?: {
    /**
     * Solved, Submitted, Reconciling or Stalled.
     */
    type: string;
    /**
     * Whether the condition holds.
     */
    status: 'True' | 'False' | 'Unknown';
    /**
     * The metadata.generation that the condition is about.
     */
    observedGeneration?: number;
    /**
     * When the status of the condition last changed.
     */
    lastTransitionTime: string;
    /**
     * Why, as one word from a closed, documented list.
     */
    reason: string;
    /**
     * Why, in words. The text is stable; it holds no ids and no times.
     */
    message: string;
  }[];
}
